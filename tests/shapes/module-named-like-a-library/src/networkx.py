import torch


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
