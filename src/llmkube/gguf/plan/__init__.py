"""The memory plan: what a model needs on each device, buffer by buffer, before a byte of it is fetched.

memory.py   plan(): facts and options to bytes          fit.py       the largest context, the most layers that fit
options.py  the engine's options, and what it refuses   buffers.py   what is answered
layers.py   what each layer keeps                       cache.py     keys and values, recurrent states
placement.py  which device has which layer              graph.py, compute.py, ...   working memory
"""
