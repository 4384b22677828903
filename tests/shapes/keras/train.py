# Special: Keras on the torch backend, chosen by os.environ before the import.
import os

os.environ["KERAS_BACKEND"] = "torch"
import argparse
import keras
import numpy as np
import wandb

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
y = (x.sum(1) > 0).astype("float32")
wandb.init(config=vars(a))


class Log(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        wandb.log({f"epoch/{k}": v for k, v in logs.items()})


m = keras.Sequential(
    [
        keras.layers.Input((3,)),
        keras.layers.Dense(a.units, "tanh"),
        keras.layers.Dense(1, "sigmoid"),
    ]
)
m.compile(keras.optimizers.SGD(a.lr), "binary_crossentropy", metrics=["accuracy"])
m.fit(x, y, validation_split=0.5, epochs=2, verbose=2, callbacks=[Log()])
