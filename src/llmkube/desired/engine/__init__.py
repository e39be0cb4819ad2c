"""The engine: what each build of llama-server accepts, how it is run on the GPUs there are, and what that takes.

flags.json    the flags of each known build, made by hack/engine-flags       build.py    which build an image has
plan.py       context, layers and memory of one pod, or why not             split.py    the layers of each GPU
batch.py      batch sizes, the context of a slot                             extra.py    what extraArgs may not say
"""
