# Special: Lightning Trainer with WandbLogger; the program never imports wandb itself.
import argparse
import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from torch.utils.data import DataLoader, TensorDataset


class Net(L.LightningModule):
    def __init__(self, lr: float = 0.5, units: int = 2):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(3, units), torch.nn.Tanh(), torch.nn.Linear(units, 1)
        )

    def _loss(self, batch, name):
        x, y = batch
        out = self.net(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out, y)
        self.log(f"{name}/loss", loss, on_epoch=True, sync_dist=True)
        self.log(
            f"{name}/acc", ((out > 0) == (y > 0)).float().mean(), on_epoch=True, sync_dist=True
        )
        return loss

    def training_step(self, batch, i):
        return self._loss(batch, "train")

    def validation_step(self, batch, i):
        self._loss(batch, "val")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


class Data(L.LightningDataModule):
    def __init__(self, workers: int = 0):
        super().__init__()
        self.workers = workers
        g = torch.Generator().manual_seed(0)
        x = torch.randn(128, 3, generator=g)
        self.ds = TensorDataset(x, (x.sum(1, keepdim=True) > 0).float())

    def train_dataloader(self):
        return DataLoader(self.ds, 16, shuffle=True, num_workers=self.workers)

    def val_dataloader(self):
        return DataLoader(self.ds, 16, num_workers=self.workers)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    L.seed_everything(1)
    logger = WandbLogger(project="lit", log_model=False)
    t = L.Trainer(
        max_epochs=2,
        logger=logger,
        accelerator="cpu",
        enable_progress_bar=False,
        log_every_n_steps=1,
    )
    t.fit(Net(a.lr, a.units), Data())
