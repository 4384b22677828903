# Special: Hugging Face Trainer, report_to wandb; wandb is imported late and only by the library.
import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
)
from dataclasses import dataclass, field


@dataclass
class Extra:
    hidden: int = field(default=16)


class Data(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.x = torch.randint(5, 50, (n, 8), generator=g)
        self.y = (self.x.float().mean(1) > 27).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"input_ids": self.x[i], "labels": self.y[i]}


def metrics(p):
    return {"accuracy": float((np.argmax(p.predictions, -1) == p.label_ids).mean())}


def main():
    parser = HfArgumentParser((Extra, TrainingArguments))
    extra, args = parser.parse_args_into_dataclasses()
    args.output_dir = "out"
    args.report_to = ["wandb"]
    args.num_train_epochs = 2
    args.eval_strategy = "epoch"
    args.logging_steps = 2
    args.save_strategy = "no"
    args.disable_tqdm = True
    args.use_cpu = True
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=50,
            hidden_size=extra.hidden,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    )
    t = Trainer(
        model=model,
        args=args,
        train_dataset=Data(64, 0),
        eval_dataset=Data(64, 1),
        compute_metrics=metrics,
    )
    t.train()


if __name__ == "__main__":
    main()
