#!/usr/bin/env bash
# Runs the tests and benchmarks that want a GPU and leaves all results in one folder. The parts take at most:
#
#   tests     3 minutes   out of memory, determinism and resume first
#   scoring   5 minutes   Parquet to Parquet with the seconds of each stage; peers; then compiled
#   training  4 minutes   an epoch, the Trainer of transformers beside it, all of IMDb
#   more      9 minutes   single techniques, memory, accuracy by several seeds; only if it is named
#
#   bash benchmarks/gpu.sh FOLDER [--part tests|scoring|training|more] [--only STEP] [--seconds N] [--smoke]
#
# In each part the most important steps come first. FOLDER gets a log of each step with its table, its figures as JSON,
# and summary.txt with exit codes, seconds and all tables. No step stops the others; the exit code is 0 only if all
# passed. --smoke runs the same steps on the CPU with a tiny model and few rows.
#
# Environment, all of it optional:
#   PYTHON                  the interpreter; python3
#   SENTIMENT_BATCH_IMDB    a labelled Parquet of long reviews; shared/data/imdb/test.parquet, else the sample reviews
#   SENTIMENT_BATCH_DATA    the folder with imdb/ and sst2_glue/ to train on; shared/data
#   SENTIMENT_BATCH_BASE    the folder of an encoder whose tokenizer is used; minilm of the extra `offline`
#   SENTIMENT_BATCH_CACHE   where probes and converted encoders are kept
set -uo pipefail

seconds=720 # of the first three parts

usage() {
    echo "usage: bash benchmarks/gpu.sh FOLDER [--part tests|scoring|training|more] [--only STEP] [--seconds N] [--smoke]" >&2
    exit 2
}

[ $# -ge 1 ] || usage
case $1 in -*) usage ;; esac
options=("${@:2}")
while [ $# -gt 1 ]; do
    case "$2 ${3:-}" in
    "--part tests") seconds=180 && set -- "$1" "${@:4}" ;;
    "--part scoring") seconds=300 && set -- "$1" "${@:4}" ;;
    "--part training") seconds=240 && set -- "$1" "${@:4}" ;;
    "--part more") seconds=560 && set -- "$1" "${@:4}" ;;
    "--only "?*) set -- "$1" "${@:4}" ;;
    "--seconds "?*) seconds=$3 && set -- "$1" "${@:4}" ;;
    "--smoke "*) set -- "$1" "${@:3}" ;;
    *) usage ;;
    esac
done

mkdir -p "$1" || exit 2
folder=$(cd "$1" && pwd)
imdb=${SENTIMENT_BATCH_IMDB:-}
[ -z "$imdb" ] || imdb=$(realpath "$imdb")
base=${SENTIMENT_BATCH_BASE:-}
[ -z "$base" ] || base=$(realpath "$base")
data=${SENTIMENT_BATCH_DATA:-}
[ -z "$data" ] || data=$(realpath "$data")
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
if [ -z "$imdb" ]; then
    imdb=shared/data/imdb/test.parquet
    [ -f "$imdb" ] || imdb=sample_data/reviews.csv
fi
python=${PYTHON:-python3}

# From the checkout, where the package is not installed; its version stands in metadata, which is made beside it.
if ! "$python" -c 'import importlib.metadata; importlib.metadata.version("sentiment-batch")' 2>/dev/null; then
    "$python" -c 'import setuptools; setuptools.setup()' -q egg_info || exit 2
    export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
fi
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=true OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1

export SENTIMENT_BATCH_IMDB=$imdb SENTIMENT_BATCH_BASE=$base SENTIMENT_BATCH_DATA=${data:-shared/data}
timeout --kill-after=10 "$seconds" "$python" -m benchmarks.gpu "$folder" --seconds $((seconds - 10)) \
    ${options[@]+"${options[@]}"}
