"""mcuprune prune"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mcuprune.cli.common import json_option, out, print_json, table
from mcuprune.errors import UsageError


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.option("--one-shot", is_flag=True, help="Without training: for what-if size and speed, accuracy will suffer.")
@click.option(
    "--sparsity", type=float, metavar="S", help="Share of zeros in each layer, in [0, 1).  [N:M implies its own]"
)
@click.option(
    "--pattern",
    "pattern_text",
    default="unstructured",
    show_default=True,
    metavar="PATTERN",
    help="How zeros are placed: unstructured, N:M (2:4), N:MxR (2:4x2) or block:RxC (block:4x1).",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB=S[,PATTERN]",
    help="Another sparsity or pattern for some layers (index, name or glob); 0 leaves them dense; repeatable, the last "
    "match wins. Depthwise layers and the classifier are left unless named here.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT.tflite", help="File to write."
)
@json_option
def command(
    model: Path,
    one_shot: bool,
    sparsity: float | None,
    pattern_text: str,
    layers: tuple[str, ...],
    output: Path,
    as_json: bool,
) -> None:
    """Set the least important weights of a model to zero.

    Smallest |weight| first, ties by index, exactly round(n * S) zeros in each layer. N:M keeps N of each M consecutive
    input channels, N:MxR the same ones in R consecutive output channels; block:RxC drops blocks of R consecutive
    output by C consecutive input channels. Kernels larger than 1x1 or with one input channel count along H*W*I.

    \b
      mcuprune prune model.tflite --one-shot --sparsity 0.8 -o sparse.tflite
      mcuprune prune model.tflite --one-shot --pattern 2:4 --layer conv_1=0 --layer 'fc=0.5,block:4x1' -o sparse.tflite
    """
    from mcuprune.files import write_file_atomic
    from mcuprune.masks import parse_pattern, parse_rule
    from mcuprune.pruning import prune_one_shot
    from mcuprune.tflite.schema import read_file

    _check_kind(model, one_shot)
    _check_output(model, output)
    pattern = parse_pattern(pattern_text)
    rules = tuple(parse_rule(text) for text in layers)
    pruned = prune_one_shot(read_file(model), model.name, sparsity=sparsity, pattern=pattern, rules=rules)
    write_file_atomic(output, pruned.content)
    zeros, size = (sum(getattr(layer, key) for layer in pruned.layers) for key in ("zeros", "size"))
    if as_json:
        print_json(
            {
                "output": str(output),
                "model_sha256": pruned.sha256,
                "totals": {"sparsity": zeros / max(size, 1), "zeros": zeros, "size": size},
                "layers": [asdict(layer) for layer in pruned.layers],
            }
        )
        return
    rows = table(None, "", "layer", "op", "pattern", "zeros", "sparsity", "note", right=("", "zeros", "sparsity"))
    for layer in pruned.layers:
        count = f"{layer.zeros} of {layer.size}"
        rows.add_row(
            str(layer.index), layer.name, layer.op, layer.pattern or "-", count, f"{layer.sparsity:.2%}", layer.note
        )
    out.print(rows)
    out.print(f"\n{zeros} of {size} weights are zero ({zeros / max(size, 1):.2%})")
    out.print(f"written to {output}; next: mcuprune generate {output} --board BOARD", markup=False)


def _check_kind(model: Path, one_shot: bool) -> None:
    """--one-shot prunes a .tflite; a .keras model is pruned by training."""
    keras = model.suffix.lower() in (".keras", ".h5")
    if keras:
        raise UsageError(
            "--one-shot works on an int8 .tflite" if one_shot else "pruning a Keras model by training is not there yet",
            where=str(model),
            hint="as int8 .tflite: mcuprune prune MODEL.tflite --one-shot --sparsity 0.8 -o OUT.tflite",
        )
    if not one_shot:
        raise UsageError(
            "a .tflite cannot be trained", where=str(model), hint="add --one-shot to prune it without training"
        )


def _check_output(model: Path, output: Path) -> None:
    """Refuse to write over the model that is read."""
    if model.resolve() == output.resolve() or (model.exists() and output.exists() and model.samefile(output)):
        raise UsageError("the output would overwrite the model", where=str(output), hint="another name after -o")
