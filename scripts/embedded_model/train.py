"""Train the embedded model from scratch on the CPU and export it as a FunASR folder.

Each process computes the gradients of its own batches on one thread; the processes then
average them. That uses the cores better than several threads on one small batch.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from batches import Batch, Batches, Corpus
from export import build_model, write_folder
from faster import speed_up
from tokens import BLANK_ID, PIECE_IDS
from torch import nn

#: SenseVoice's query embeddings (see funasr/models/sense_voice/model.py).
AUTO, ENGLISH, OTHER_LANGUAGES = 0, 4, (3, 7, 11, 12, 13)
EVENT_QUERY, EMOTION_QUERY = 1, 2
WITH_ITN, WITHOUT_ITN = 14, 15


def queries(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Embedded prefix queries (batch, 4, 560): language, event, emotion, text norm."""
    size = len(batch.lengths)
    chance = torch.rand(size)
    language = torch.where(chance < 0.5, AUTO, ENGLISH)
    other = torch.tensor(OTHER_LANGUAGES)[torch.randint(len(OTHER_LANGUAGES), (size,))]
    language = torch.where(chance > 0.85, other, language)
    itn = batch.tags[:, 3] == PIECE_IDS["<|withitn|>"]
    norm = torch.where(itn, WITH_ITN, WITHOUT_ITN)
    fixed = torch.tensor([EVENT_QUERY, EMOTION_QUERY]).expand(size, 2)
    ids = torch.cat([language[:, None], fixed, norm[:, None]], dim=1)
    return cast("torch.Tensor", cast("nn.Module", model.embed)(ids))


def losses(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """CTC loss of a word and cross entropy of a tag, both averaged over the batch."""
    inputs = torch.cat([queries(model, batch), batch.features], dim=1)
    encoded, lengths = cast("nn.Module", model.encoder)(inputs, batch.lengths + 4)
    logits = cast("nn.Module", cast("nn.Module", model.ctc).ctc_lo)(encoded)
    tags = F.cross_entropy(logits[:, :4].transpose(1, 2), batch.tags)
    words = F.ctc_loss(
        logits[:, 4:].log_softmax(-1).transpose(0, 1),
        batch.targets,
        lengths.long() - 4,
        batch.target_lengths,
        blank=BLANK_ID,
        reduction="sum",
        zero_infinity=True,
    )
    return words / max(1, len(batch.targets)), tags


class Average:
    """Exponential moving average of the weights; what is exported."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def update(self, model: nn.Module) -> None:
        """Take the current weights into the average (faster at the start)."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        current = model.state_dict()
        torch._foreach_lerp_(
            list(self.weights.values()), [current[name] for name in self.weights], 1 - decay
        )


def learning_rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """Linear warm-up to ``peak``, then a cosine down to a hundredth of it."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def average_gradients(model: nn.Module) -> None:
    """Replace the gradients of this process by their mean over all processes."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(
        gradients, [part.view_as(to) for part, to in zip(parts, gradients, strict=True)]
    )


class Trainer:
    """One process of the training: its model, optimizer and weight average."""

    def __init__(self, options: argparse.Namespace, rank: int) -> None:
        self.options = options
        self.rank = rank
        torch.manual_seed(options.seed)
        self.model = build_model(len(PIECE_IDS))
        if options.start_from:
            state = torch.load(options.start_from / "model.pt", weights_only=True)
            self.model.load_state_dict(state)
        speed_up(self.model, options.dropout)
        if not options.start_from:
            head = cast("nn.Linear", cast("nn.Module", self.model.ctc).ctc_lo)
            nn.init.constant_(head.bias[BLANK_ID : BLANK_ID + 1], options.blank_bias)
        self.model.train()
        self.average = Average(self.model, 0.998)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), weight_decay=0.01, betas=(0.9, 0.98)
        )
        torch.manual_seed(options.seed * 100 + rank)
        corpus = Corpus.load(options.data, "train")
        self.norm = corpus.statistics()
        size, seed = options.batch_frames, options.seed
        words = Batches(Corpus.load(options.data, "words"), size, seed, self.norm)
        sentences = Batches(corpus, size, seed, self.norm)
        #: What each epoch goes through, and the number of its steps.
        self.course = [words] * options.word_epochs + [sentences] * options.epochs
        self.lengths = [
            len(part.groups(epoch)) // options.processes for epoch, part in enumerate(self.course)
        ]
        self.sums = [0.0, 0.0]

    def step(self, batch: Batch, rate: float) -> None:
        """One update of the weights from this batch and those of the other processes."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        words, tags = losses(self.model, batch)
        self.optimizer.zero_grad()
        (words + 0.3 * tags).backward()
        average_gradients(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.average.update(self.model)
        self.sums = [self.sums[0] + words.item(), self.sums[1] + tags.item()]

    def export(self) -> int:
        """Write the averaged weights as a model folder; returns its size in bytes."""
        return write_folder(self.options.output, self.average.weights, *self.norm)

    def run(self) -> None:
        """All the epochs; the first process logs and exports now and then."""
        options, step, start = self.options, 0, time.monotonic()
        steps = sum(self.lengths)
        count = sum(parameter.numel() for parameter in self.model.parameters())
        if self.rank == 0:
            print(f"{count} parameters, {steps} steps", flush=True)
        for epoch, (part, length) in enumerate(zip(self.course, self.lengths, strict=True)):
            share = part.epoch(epoch, self.rank, options.processes)
            for _, batch in zip(range(length), share, strict=False):
                self.step(batch, learning_rate(step, steps, options.rate, options.warm_up))
                step += 1
                if step % 50 == 0 and self.rank == 0:
                    words, tags = (value / 50 for value in self.sums)
                    seconds = time.monotonic() - start
                    print(
                        f"epoch {epoch} step {step} words {words:.4f} tags {tags:.4f} "
                        f"seconds {seconds:.0f}",
                        flush=True,
                    )
                    self.sums = [0.0, 0.0]
                if step % options.export_every == 0 and self.rank == 0:
                    self.export()
        if self.rank == 0:
            print(f"wrote {options.output}: {self.export()} bytes", flush=True)


def train(rank: int, options: argparse.Namespace, meeting_point: str) -> None:
    """Body of process ``rank``; the processes find each other by the file ``meeting_point``."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=options.processes
    )
    Trainer(options, rank).run()
    dist.destroy_process_group()


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("build/embedded_model"))
    parser.add_argument("--output", type=Path, default=Path("build/embedded_model/model"))
    parser.add_argument("--start-from", type=Path, help="model folder to take weights from")
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("--word-epochs", type=int, default=8, help="passes over single words")
    parser.add_argument("--batch-frames", type=int, default=1000, help="60 ms frames a batch")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--warm-up", type=int, default=400, help="steps")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--blank-bias", type=float, default=5.0)
    parser.add_argument("--export-every", type=int, default=500, help="steps")
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            train, (options, str(Path(folder, "meeting-point"))), nprocs=options.processes
        )


if __name__ == "__main__":
    main()
