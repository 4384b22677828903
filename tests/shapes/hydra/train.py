# Special: Hydra, parameters as overrides (model.units=4), a new output folder for each run.
import logging
import hydra
import torch
import wandb
from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)


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


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    run = wandb.init(project="h", config=OmegaConf.to_container(cfg, resolve=True))
    for loss, acc in fit(cfg.optim.lr, cfg.model.units, cfg.steps):
        wandb.log({"loss": loss, "acc": acc})
    log.info("final %s", acc)
    out = hydra.core.hydra_config.HydraConfig.get().runtime.output_dir
    print("OUT", out)
    torch.save({"acc": acc, "lr": cfg.optim.lr}, out + "/model.pt")


if __name__ == "__main__":
    main()
