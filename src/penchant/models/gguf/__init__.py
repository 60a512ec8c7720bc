"""Write a model as one GGUF file, for llama.cpp, Ollama and tools built on them.

families.py    supported architectures, and their metadata
types.py       weight types: f32, f16, q8_0
vocabulary.py  the tokenizer: its tokens, and its pre-tokenisation rule
modelfile.py   the Modelfile for Ollama
writing.py     the file itself, read back and compared before it gets its name
"""

from penchant.models.gguf.modelfile import modelfile
from penchant.models.gguf.types import TYPES
from penchant.models.gguf.writing import save_gguf

__all__ = ["TYPES", "modelfile", "save_gguf"]
