"""The cases, in the order of the report."""

from benchmarks.cases import (
    denoising,
    digits,
    encoding,
    epoch,
    memory,
    out_of_core,
    quality,
    search,
    startup,
    texts,
    time_to_loss,
)

CASES = {
    case.name: case
    for case in (
        epoch.CASE,
        epoch.OPTIMIZERS,
        epoch.THREADS,
        time_to_loss.CASE,
        quality.CASE,
        denoising.EPOCH,
        denoising.QUALITY,
        encoding.ROWS,
        encoding.ONE_ROW,
        startup.IMPORT,
        startup.UNPICKLE,
        digits.CASE,
        search.CASE,
        memory.CASE,
        texts.CASE,
        out_of_core.CASE,
    )
}
