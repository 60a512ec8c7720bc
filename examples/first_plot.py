"""From preferences to a trained model and a plot in ten lines; each `# %%` begins a cell of a notebook."""

# %%
import matplotlib.pyplot as plt

import penchant as pt

# %%
animals = ["cats", "dogs", "hens", "bees", "ants", "owls", "frogs", "bears", "crows", "sheep"]
pairs = [{"prompt": f"Do {name} sleep?", "chosen": "Yes, every day.", "rejected": "No."} for name in animals]
model = pt.load("smollm2-135m")
run = pt.dpo(model, pairs, batch_size=4, epochs=5)

# %%
figure, axes = plt.subplots()
axes.plot(run.metrics.column("loss"))
figure.savefig("loss.png")
