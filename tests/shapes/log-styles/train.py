# Special: nested dicts, commit=False, step=, histogram, image, table, artifact, define_metric, watch, save_code.
import argparse
import numpy as np
import torch
import wandb


def fit(lr, units, steps=30, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(64, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(3, int(units)), torch.nn.Tanh(), torch.nn.Linear(int(units), 1)
    )
    for _ in range(steps):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= float(lr) * weight.grad
        yield loss.item(), ((net(x) > 0) == (y > 0)).float().mean().item()


p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
run = wandb.init(
    project="other-project",
    name="my-name",
    notes="n",
    tags=["a"],
    job_type="train",
    group="g",
    config=vars(a),
    settings=wandb.Settings(console="off", code_dir="."),
    reinit=True,
    resume="allow",
    save_code=True,
)
run.define_metric("epoch")
run.define_metric("val.*", step_metric="epoch")
run.define_metric("val.acc", summary="max")
wandb.watch(torch.nn.Linear(2, 2))
for e, (loss, acc) in enumerate(fit(a.lr, a.units)):
    run.log({"train": {"loss": loss}}, commit=False)
    run.log(
        {
            "val": {"acc": np.float32(acc), "t": torch.tensor(loss)},
            "epoch": e,
            "h": wandb.Histogram(np.arange(5)),
            "img": wandb.Image(np.zeros((4, 4, 3), dtype="uint8")) if e == 0 else None,
            "flag": True,
            "txt": "x",
        },
        step=e,
    )
run.summary["best"] = acc
t = wandb.Table(columns=["a"], data=[[1]])
run.log({"table": t})
open("model.txt", "w").write("x")
art = wandb.Artifact("m", "model")
art.add_file("model.txt")
run.log_artifact(art)
wandb.save("model.txt")
run.log_code(".")
wandb.finish()
