"""The memory plan: what a model needs on each device, buffer by buffer, before a byte of it is fetched.

memory.py     plan(): facts and options to bytes        fit.py       the largest context, the most layers that fit
options.py    the engine's options, what it refuses     buffers.py   what is answered
layers.py     what each layer keeps                     cache.py     keys and values, recurrent states
placement.py  which device has which layer              compute.py   working memory: the peak of each device's graph
graph.py      a graph, and the engine's allocator       part.py      what one device has of it, and kinds of layers
walk.py       the steps of one device's part            crossing.py  what one device hands over to the next
attention.py, feed.py, recurrence.py  the steps of one layer         batch.py  the sizes of a batch, what it is given
slices.py     split mode tensor: what each device has of every matrix and cache
beside.py, stacked.py  Gemma 3n's and 4's: what is known of a token for each layer, and four hidden states in one
"""
