"""The engine: what each build of llama-server accepts, how it is run on the GPUs there are, and what that takes.

flags.json    what each known build takes               build.py    which build an image has
plan.py       context, layers and memory, or why not    split.py    the layers of each GPU
batch.py      batch sizes, the context of a slot        extra.py    what extraArgs may not say
beside.py     a draft and adapters in the plan          told.py     the plan in words
balance.py    layers of each GPU where all must have room
"""
