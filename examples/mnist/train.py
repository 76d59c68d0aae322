"""Train the fully connected network on 28x28 digits, reproducibly, in well under a minute.

    python train.py [--out FOLDER] [--epochs N]

Writes to the output folder:

* ``mnist-fc.pt``: the trained weights, a ``state_dict`` (`export.py` reads it);
* ``test-digits.npz``: the test digits and torch's logits for them (`deploy.py --reference` reads it).

Seeds, order of the data, algorithms and number of threads are fixed, so that a second run on the same machine gives
the same weights bit by bit. Another processor may round differently, which moves the weights a little.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from digits import Digits, Reference, load_digits, split
from network import DigitNetwork, FullyConnectedHead
from torch import Tensor, nn

SEED = 2019
THREADS = 2
EPOCHS = 12
BATCH = 32
LEARNING_RATE = 1e-3

OUTPUT = Path(__file__).resolve().parent / "build"
CHECKPOINT = "mnist-fc.pt"
REFERENCE = "test-digits.npz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, report the accuracy, save the checkpoint and the reference; returns the exit status."""
    options = _parser().parse_args(arguments)
    _make_reproducible()
    training, test = split(load_digits())

    network = DigitNetwork(FullyConnectedHead())
    start = time.perf_counter()
    for epoch, loss in enumerate(train(network, training, epochs=options.epochs), start=1):
        print(f"epoch {epoch:2d}  loss {loss:.4f}")
    print(f"trained on {len(training.labels)} images in {time.perf_counter() - start:.1f} s")

    logits = classify(network, test)
    accuracy = (logits.argmax(1) == torch.from_numpy(test.labels)).double().mean().item()
    print(f"test accuracy: {accuracy:.2%} of {len(test.labels)} images")

    options.out.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), options.out / CHECKPOINT)
    Reference(digits=test, logits=logits.numpy()).save(options.out / REFERENCE)
    print(f"wrote {CHECKPOINT} and {REFERENCE}")
    return 0


def train(network: DigitNetwork, digits: Digits, *, epochs: int) -> Iterator[float]:
    """Train ``network`` in place while the caller iterates; yields the mean loss of each epoch."""
    images = torch.from_numpy(digits.images)
    labels = torch.from_numpy(digits.labels).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(epochs, 1))
    network.train()
    for _ in range(epochs):
        total = 0.0
        order = torch.randperm(len(labels))
        for start in range(0, len(labels), BATCH):
            chosen = order[start : start + BATCH]
            total += _step(network, optimizer, images[chosen], labels[chosen]) * len(chosen)
        schedule.step()
        yield total / len(labels)


def classify(network: DigitNetwork, digits: Digits) -> Tensor:
    """Return the logits of ``network`` in evaluation mode for all ``digits``: float32 ``[N, 10]``."""
    network.eval()
    with torch.inference_mode():
        logits: Tensor = network(torch.from_numpy(digits.images))
    return logits


def _step(network: DigitNetwork, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    """Take one optimiser step on a batch; returns its mean loss before the step."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()


def _make_reproducible() -> None:
    """Fix what a result may depend on besides the data: the seed, the algorithms and the number of threads."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(THREADS)


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description="Train the fully connected digit network.")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="output folder (default: build/ beside this script)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the data (default: %(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
