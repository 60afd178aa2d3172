"""The stage before the first, for small models: the tower is told what the training pictures show (see `grounding`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments

from core.errors import UserError
from core.mmad import Benchmark
from core.model.adapters import inner_model
from core.training.checkpoints import ExactCheckpoints
from core.training.compressing import adapted
from core.training.grounding import Grounding
from core.training.grounding_targets import Pictures, shown_in
from core.training.optimizers import muon_and_adamw


class Order(torch.utils.data.Dataset):
    """(number, pass) of the picture at each position: pass after pass, each in an order of its own."""

    def __init__(self, pictures: int, length: int, seed: int) -> None:
        self.places: list[tuple[int, int]] = []
        epoch = 0
        while len(self.places) < length:
            order = np.random.default_rng([seed, 5, epoch]).permutation(pictures)
            self.places += [(int(number), epoch) for number in order]
            epoch += 1
        self.places = self.places[:length]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> tuple[int, int]:
        return self.places[position]


class GroundingStage(ExactCheckpoints, Trainer):
    """transformers' trainer on pictures, in their order."""

    def __init__(self, module: Grounding, pictures: Pictures, args: TrainingArguments, **kwargs: Any) -> None:
        length = args.max_steps * args.train_batch_size * args.world_size
        order = Order(len(pictures.shown), length, args.seed)
        super().__init__(model=module, args=args, train_dataset=order, data_collator=pictures, **kwargs)
        self.module, self.pictures, self.order = module, pictures, order
        self.model_accepts_loss_kwargs = False
        self.about = f"{len(pictures.shown)} pictures, defects of {len(pictures.kinds.names)} kind(s)"

    @classmethod
    def on(
        cls,
        bench: Benchmark,
        model: Any,
        processor: Any,
        args: TrainingArguments,
        *,
        strange: bool = False,
        similar: bool = True,
        **weights: float,
    ) -> GroundingStage:
        """On the training part `bench`; `strange` as `Pictures` takes it, `similar` as `shown_in`, `weights` of the loss as
        `Grounding` takes them.

        Raises:
            UserError: see `shown_in`.
        """
        if processor.image_processor.crop_to_patches:
            raise UserError(
                "Grounding looks at whole pictures, and this base cuts them into tiles: switch grounding.enabled off."
            )
        vision = inner_model(model).config.vision_config
        grid = vision.image_size[0] // vision.patch_size[0]
        kinds, shown = shown_in(bench, grid, similar=similar)
        module = Grounding(model, processor.tokenizer, kinds, **weights)
        # Half of them: what a picture's tokens say without a reference is to be learned as well.
        paired = -(-args.train_batch_size // 2) if module.comparing else 0
        pictures = Pictures(kinds, shown, processor, grid, seed=args.seed, strange=strange, paired=paired)
        return cls(module, pictures, args)

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def create_optimizer(self, *args: Any) -> torch.optim.Optimizer:
        tower = [layer.base_layer.weight for layer in adapted(self.module.model).values()]
        if not any(matrix.requires_grad for matrix in tower):
            return super().create_optimizer(*args)
        own = set(map(id, tower))
        rest = [p for p in self.module.parameters() if p.requires_grad and id(p) not in own]
        self.optimizer = muon_and_adamw(tower, rest, rate=self.args.learning_rate, decay=self.args.weight_decay)
        return self.optimizer

    def some_pictures(self, batches: int = 16) -> Iterator[Tensor]:
        """Thumbnails of the first pictures in their order, in batches."""
        rows = self.args.train_batch_size
        for start in range(0, min(batches * rows, len(self.order)), rows):
            turns = self.order.places[start : start + rows]
            yield self.pictures(turns)["pixel_values"]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(**inputs)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise UserError(
                f"The loss became {loss.item()} at step {self.state.global_step}: resume from the last checkpoint with a "
                "lower grounding.learning_rate, or with dtype float32."
            )
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            logs = {**logs, **{f"grounded/{name}": share for name, share in self.module.figures.items()}}
        super().log(logs, *args, **kwargs)
