"""A model as one GGUF file, for llama.cpp, Ollama and what is built on them.

families.py    which architectures can be written, and what their metadata says
types.py       the types of the weights: f32, f16, q8_0
vocabulary.py  the tokenizer: its tokens, and by which rule a text is cut before they are looked for
modelfile.py   what Ollama wants beside it
writing.py     the file itself, read back and compared before it stands under its name
"""

from penchant.models.gguf.modelfile import modelfile
from penchant.models.gguf.types import TYPES
from penchant.models.gguf.writing import save_gguf

__all__ = ["TYPES", "modelfile", "save_gguf"]
