"""Language models: loading, tree attention, log-probabilities of responses, sampling.

The only room that imports transformers and peft.
"""
