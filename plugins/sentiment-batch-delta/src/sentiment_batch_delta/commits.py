"""Publishes data files: as a new table in one rename, or as the next version of a table in one link.

deltalake itself puts no commit on disk, and checks a table only after it has changed it. So it makes each commit in a
copy of the log. The commit is read back and synced there. Then it gets its name in the table's log, which fails if
another program has taken the number.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import PostCommitHookProperties, create_table_with_add_actions

from sentiment_batch import OutputError
from sentiment_batch.writing import sync_path
from sentiment_batch_delta.tables import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentiment_batch_delta.data_files import DataFiles
    from sentiment_batch_delta.url import TableUrl

MAX_ATTEMPTS = 50
"""Commits of other programs that may come first while rows are added."""
_COPY = "log"
"""The folder among the data files that holds the copy of a table's log."""
_BY_HAND = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)

logger = logging.getLogger("sentiment_batch")


class TakenError(Exception):
    """Another program has made the table or the version first."""


def create_table(url: TableUrl, files: DataFiles, schema: pa.Schema, run_id: str | None) -> None:
    """Make a table with these files, which appears in one rename.

    Raises:
        TakenError: something is at its place by now.
        DeltaError, OSError: it cannot be made.
    """
    table = os.path.join(files.folder, "table")
    os.mkdir(table)
    create_table_with_add_actions(
        table,
        Schema.from_arrow(schema),
        list(files.describe()),
        mode="error",
        commit_properties=_describe_run(run_id, 0),
        post_commithook_properties=_BY_HAND,
    )
    _store_location(_name_commit(table, 0), url)
    DeltaTable(table)  # fails if deltalake has made something that it cannot read
    with _moving(files, table):
        sync_path(_name_commit(table, 0))
        sync_path(os.path.join(table, LOG))
        sync_path(table)
        try:
            os.rename(table, url.path)  # an empty folder may be there
        except OSError as error:
            if error.errno in _TAKEN:
                raise TakenError from error
            raise
        _sync_after(os.path.dirname(url.path))


def add_files(
    url: TableUrl, files: DataFiles, schema: pa.Schema, run_id: str | None, check: Callable[[DeltaTable], None]
) -> None:
    """Add files to a table, in the next version that is free.

    Args:
        url: the table.
        files: the finished files.
        schema: the storage types of the columns.
        run_id: the ID of the run, which the commit stores.
        check: raises an error if the files do not fit the table.

    Raises:
        OutputError: other programs are always first; or as `check` raises.
        DeltaError, OSError: the commit cannot be made.
    """
    for attempt in range(MAX_ATTEMPTS):
        with contextlib.suppress(TakenError):
            _commit(url, files, schema, run_id, "append", check)
            return
        time.sleep(0.01 * attempt)
    raise OutputError(f"{url.shown} cannot be written: other programs always commit first. Try again later.")


def replace_files(
    url: TableUrl, files: DataFiles, schema: pa.Schema, run_id: str | None, check: Callable[[DeltaTable], None]
) -> None:
    """Replace all files of a table by these, in the next version. For the arguments see `add_files`.

    Raises:
        TakenError: another program has made that version.
        DeltaError, OSError: the commit cannot be made.
    """
    _commit(url, files, schema, run_id, "overwrite", check)


def _commit(
    url: TableUrl,
    files: DataFiles,
    schema: pa.Schema,
    run_id: str | None,
    mode: str,
    check: Callable[[DeltaTable], None],
) -> None:
    """Make the next version of a table."""
    copy = os.path.join(files.folder, _COPY)
    _copy_log(url.path, copy)
    table = DeltaTable(copy)
    check(table)
    version = table.version() + 1
    newest = max(pa.table(table.get_add_actions())["modification_time"].to_pylist(), default=0)
    table.create_write_transaction(
        list(files.describe(after=newest)),
        mode,
        table.schema() if mode == "append" else Schema.from_arrow(schema),
        partition_by=[],
        commit_properties=_describe_run(run_id, version),
        post_commithook_properties=_BY_HAND,
    )
    made = _name_commit(copy, version)
    if DeltaTable(copy).version() != version:  # fails if deltalake has made something that it cannot read
        raise OSError(errno.EIO, f"the commit {made} is not what was made")
    sync_path(made)
    with _moving(files, url.path):
        sync_path(url.path)
        try:
            os.link(made, _name_commit(url.path, version))
        except FileExistsError as error:
            raise TakenError from error
        _sync_after(os.path.join(url.path, LOG))


@contextlib.contextmanager
def _moving(files: DataFiles, folder: str) -> Iterator[None]:
    """Move the files into a folder, and back if the block fails."""
    moved: list[str] = []
    try:
        for name in files.names:
            os.rename(os.path.join(files.folder, name), os.path.join(folder, name))
            moved.append(name)
        yield
    except BaseException:
        for name in moved:
            with contextlib.suppress(OSError):
                os.rename(os.path.join(folder, name), os.path.join(files.folder, name))
        raise


def _store_location(commit: str, url: TableUrl) -> None:
    """Store the location of the table in its first commit, where deltalake has named the folder for unfinished work."""
    with open(commit, encoding="utf-8") as file:
        actions = [json.loads(line) for line in file]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["operationParameters"]["location"] = f"file://{quote(url.path)}/"
    with open(commit, "w", encoding="utf-8") as file:
        # deltalake reads an escaped character beyond 16 bits as another one.
        file.writelines(f"{json.dumps(action, ensure_ascii=False)}\n" for action in actions)


def _describe_run(run_id: str | None, version: int) -> CommitProperties:
    """What a commit says about the run. Its transaction holds the version, see `run_ids`."""
    words = "written by sentiment-batch" if run_id is None else f"written by sentiment-batch, run {run_id}"
    transactions = [] if run_id is None else [Transaction(run_id, version)]
    return CommitProperties(
        custom_metadata={"userMetadata": words}, max_commit_retries=0, app_transactions=transactions
    )


def _copy_log(table: str, copy: str) -> None:
    """Make a folder whose log has the same files as that of a table. Links cost no space."""
    shutil.rmtree(copy, ignore_errors=True)
    os.makedirs(os.path.join(copy, LOG))
    for name in os.listdir(os.path.join(table, LOG)):
        original, target = os.path.join(table, LOG, name), os.path.join(copy, LOG, name)
        if not os.path.isfile(original):
            continue
        with contextlib.suppress(FileNotFoundError):  # another program has just removed it
            try:
                os.link(original, target)
            except PermissionError:  # systems protect files of other users from links
                shutil.copyfile(original, target)


def _name_commit(table: str, version: int) -> str:
    return os.path.join(table, LOG, f"{version:020}.json")


def _sync_after(folder: str) -> None:
    """Wait until the name of a table or of a commit is on disk. An error changes nothing, because all can see it."""
    try:
        sync_path(folder)
    except OSError as error:
        logger.warning("%s is written, but could not be synced: %s", folder, error.strerror)
