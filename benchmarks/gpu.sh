#!/usr/bin/env bash
# Runs every test and benchmark that wants a GPU and leaves all results in one folder, within nine minutes.
#
#   bash benchmarks/gpu.sh FOLDER [--smoke]
#
# FOLDER gets a log of each step, its figures as JSON, and summary.txt with exit codes and seconds. No step stops the
# others; the exit code is 0 only if all passed. --smoke runs the same steps on the CPU with a tiny model and few rows.
#
# Environment, all of it optional:
#   PYTHON                  the interpreter; python3
#   SENTIMENT_BATCH_IMDB    a labelled Parquet of long reviews; shared/data/imdb/test.parquet, else the sample reviews
#   SENTIMENT_BATCH_BASE    the folder of an encoder whose tokeniser is used; minilm of the extra `offline`
#   SENTIMENT_BATCH_CACHE   where probes and converted encoders are kept
set -uo pipefail

SECONDS_IN_ALL=530

usage() {
    echo "usage: bash benchmarks/gpu.sh FOLDER [--smoke]" >&2
    exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
[ $# -eq 1 ] || [ "$2" = --smoke ] || usage
case $1 in -*) usage ;; esac

mkdir -p "$1" || exit 2
folder=$(cd "$1" && pwd)
imdb=${SENTIMENT_BATCH_IMDB:-}
[ -z "$imdb" ] || imdb=$(realpath "$imdb")
base=${SENTIMENT_BATCH_BASE:-}
[ -z "$base" ] || base=$(realpath "$base")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
if [ -z "$imdb" ]; then
    imdb=shared/data/imdb/test.parquet
    [ -f "$imdb" ] || imdb=sample_data/reviews.csv
fi
python=${PYTHON:-python3}

# From the checkout, where the package is not installed.
"$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("sentiment_batch") is None)' ||
    export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=true OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1

export SENTIMENT_BATCH_IMDB=$imdb SENTIMENT_BATCH_BASE=$base
timeout --kill-after=10 "$SECONDS_IN_ALL" "$python" -m benchmarks.gpu "$folder" \
    --seconds $((SECONDS_IN_ALL - 10)) "${@:2}"
