# Special: LightningCLI with a config file, nested parameters, wandb only behind class_path.
import lightning as L
import torch
from lightning.pytorch.cli import LightningCLI
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
    LightningCLI(Net, Data, save_config_kwargs={"overwrite": True})
