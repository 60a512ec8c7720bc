"""Language models: loading, tree attention, log-probabilities of responses, sampling.

The only package that imports transformers and peft.
"""
