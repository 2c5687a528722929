"""Adopts what a destroyed stage left: its tables and its archive become resources of the new stage.

The order matters. Everything is checked before anything changes. What follows from the old stream is corrected before
the import, while no program uses the tables, so that an interrupted adoption is completed by running it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from botocore.client import BaseClient
from botocore.exceptions import ClientError, WaiterError

from deployment.cloudformation import StackClient, aws_errors_about, exists
from deployment.errors import DeploymentError, ParameterError
from deployment.kept_resources import (
    BUCKET,
    STATE,
    Kept,
    identifiers,
    import_template,
    kept_bucket,
    kept_table,
    may_be_kept,
    new_key,
    repeated,
)
from deployment.place import Place
from deployment.stack_events import causes
from lane_state import ANOTHER_STREAM, move, unpack
from quotes.lanes import lanes_of_key
from watchlist import DEFAULT_LANES

_UNDELIVERED = "undelivered/"
_WAIT = {"Delay": 1, "MaxAttempts": 1800}


@dataclass(frozen=True)
class Adopter:
    """Finds, checks and adopts what the storage stack of a stage left. Methods raise `DeploymentError`."""

    cloudformation: BaseClient
    dynamodb: BaseClient
    s3: BaseClient
    place: Place
    stack: str
    """The name of the storage stack."""
    report: Callable[[str], None]
    """Called with a line of text for each step."""
    service_role: str | None = None
    """The ARN of the role with which CloudFormation changes resources. None stands for the caller's permissions."""

    def find(self) -> tuple[str, ...]:
        """The names of tables and buckets that an earlier stack of this name may have left."""
        with aws_errors_about("a list of the tables and buckets"):
            pages = self.dynamodb.get_paginator("list_tables").paginate()
            names = [name for page in pages for name in page["TableNames"]]
            names += [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]
        return tuple(name for name in names if may_be_kept(name, self.stack))

    def look_at(self, names: Collection[str], lanes: str | None) -> tuple[Kept, ...]:
        """What has these names. Changes nothing. Raises `ParameterError` with everything that cannot be adopted.

        `lanes` is the number of lanes of the new stage, and empty for the default. None compares no lanes.
        """
        kept, wrong = [], []
        for name in names:
            found = self._table(name) or self._bucket(name)
            if isinstance(found, Kept):
                kept.append(found)
            else:
                wrong.append(found)
        wrong += repeated(kept)
        for table in (one.name for one in kept if one.resource == STATE):
            wrong += [f"{table}: {problem}" for problem in self._problems_of_states(table, lanes)]
        if wrong:
            raise ParameterError("\n".join(f"cannot adopt {line}" for line in wrong))
        if StackClient(self.cloudformation, self.report).find(self.stack) is None:
            with self._change_set(kept):
                pass  # CloudFormation refuses what belongs to another stack
        return tuple(kept)

    def adopt(self, kept: Collection[Kept], stream: str) -> None:
        """Import what was kept into the storage stack. `stream` is the name of the new stream."""
        with self._change_set(kept) as change_set:
            for one in kept:
                if one.resource == STATE:
                    self._forget_positions(one.name)
                elif one.kind == BUCKET:
                    self._move_undelivered(one.name, stream)
                    # CloudFormation makes the bucket's policy in the update, and may refuse one that is there already.
                    self.s3.delete_bucket_policy(Bucket=one.name)
            self.report(f"importing into {self.stack}: {', '.join(one.name for one in kept)}")
            self._execute(change_set)

    def holds(self, names: Collection[str]) -> bool:
        """Whether the storage stack has these resources, as after an adoption that was interrupted."""
        with aws_errors_about(self.stack):
            found = self.cloudformation.describe_stack_resources(StackName=self.stack)["StackResources"]
        return set(names) <= {resource.get("PhysicalResourceId") for resource in found}

    def _table(self, name: str) -> Kept | str | None:
        """The table of a name, or why it cannot be adopted; None if there is no such table."""
        with aws_errors_about(name):
            try:
                table = self.dynamodb.describe_table(TableName=name)["Table"]
            except ClientError as error:
                if error.response["Error"]["Code"] in ("ResourceNotFoundException", "ValidationException"):
                    return None
                raise
            time_to_live = self.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            backups = self.dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        if table["TableStatus"] != "ACTIVE":
            return f"{name}: the table is {table['TableStatus']}"
        keys = ", ".join(key["AttributeName"] for key in table["KeySchema"])
        return kept_table(table, time_to_live, backups) or f"{name}: no table of a stage has the key {keys}"

    def _bucket(self, name: str) -> Kept | str:
        try:
            found = self.s3.head_bucket(Bucket=name, ExpectedBucketOwner=self.place.account)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
                return f"{name}: there is no table and no bucket of this name in {self.place}"
            return (
                f"{name}: the bucket belongs to another account or region, or the credentials may not read it ({error})"
            )
        if found.get("BucketRegion", self.place.region) != self.place.region:
            return f"{name}: the bucket is in the region {found['BucketRegion']}"
        return kept_bucket(name)

    def _problems_of_states(self, table: str, lanes: str | None) -> Iterator[str]:
        counts = set()
        for item in self._states(table):
            counts.add(str(lanes_of_key(item["lane"]["S"])))
            try:
                unpack(item["state"]["B"])
            except ValueError as error:
                yield f"{item['lane']['S']}: {error}"
        wanted = str(DEFAULT_LANES) if lanes == "" else lanes
        if wanted is not None and counts and counts != {wanted}:
            yield f"its lanes are of {', '.join(sorted(counts))}, but Lanes={wanted}; set Lanes to theirs"

    def _states(self, table: str) -> Iterator[Mapping[str, Any]]:
        """The items of the lanes' states. The table also has the mark and the checkpoint of each lane."""
        with aws_errors_about(table):
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
                yield from (item for item in page["Items"] if "state" in item)

    def _forget_positions(self, table: str) -> None:
        """Let each lane begin at the start of the new stream, with everything that it remembers of its symbols.

        Nothing orders the sequence numbers of two streams. A lane drops what is not above its position, so with the
        position on the old stream it could drop all of the new one.
        """
        for item in self._states(table):
            self.dynamodb.update_item(
                TableName=table,
                Key={"lane": item["lane"]},
                UpdateExpression="SET last_sequence = :start, #state = :moved",
                ConditionExpression="last_sequence = :read",  # which fails if a function still writes
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":start": {"S": str(ANOTHER_STREAM)},
                    ":moved": {"B": move(item["state"]["B"], ANOTHER_STREAM)},
                    ":read": item["last_sequence"],
                },
            )

    def _move_undelivered(self, bucket: str, stream: str) -> None:
        """Move what producers of earlier streams could not deliver to where the producer of the new stream looks."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_UNDELIVERED)
        for key in [listed["Key"] for page in pages for listed in page.get("Contents", [])]:
            if (target := new_key(key, stream)) is not None:
                self.s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": key})
                self.s3.delete_object(Bucket=bucket, Key=key)
                self.report(f"moved s3://{bucket}/{key} to {target}")

    @contextmanager
    def _change_set(self, kept: Collection[Kept]) -> Iterator[dict[str, str]]:
        """The change set of the import, which CloudFormation has checked. What it leaves unless it is executed goes."""
        self._remove_empty_stack()
        change_set = {"StackName": self.stack, "ChangeSetName": f"import-{uuid4().hex}"}
        with aws_errors_about(f"the import into {self.stack}"):
            self.cloudformation.create_change_set(
                **change_set,
                ChangeSetType="IMPORT",
                TemplateBody=import_template(kept),
                ResourcesToImport=identifiers(kept),
                **({} if self.service_role is None else {"RoleARN": self.service_role}),
            )
            try:
                self._await_check(change_set)
                yield change_set
            finally:
                self._remove_empty_stack()

    def _remove_empty_stack(self) -> None:
        """Delete the stack of a change set that was not executed, or of a failed import. It holds nothing."""
        stacks = StackClient(self.cloudformation, lambda _: None)
        stack = stacks.find(self.stack)
        if stack is not None and not exists(stack):
            stacks.delete(stack)

    def _await_check(self, change_set: Mapping[str, str]) -> None:
        try:
            self.cloudformation.get_waiter("change_set_create_complete").wait(**change_set, WaiterConfig=_WAIT)
        except WaiterError as error:
            reason = error.last_response.get("StatusReason") or str(error)
            raise DeploymentError(f"CloudFormation cannot import into {self.stack}: {reason}") from error

    def _execute(self, change_set: Mapping[str, str]) -> None:
        stacks = StackClient(self.cloudformation, self.report)
        before = stacks.find(self.stack)
        self.cloudformation.execute_change_set(**change_set)
        ended = None if before is None else stacks.reader.await_end(before)
        if ended is not None and ended["StackStatus"] != "IMPORT_COMPLETE":
            reasons = causes(self.cloudformation, ended["StackId"])
            raise DeploymentError("\n".join([f"{self.stack} ended as {ended['StackStatus']}", *reasons]))


NEW = "new"
"""The word that stands for new tables and a new archive where resources to adopt can be named."""
FOUND = "found"
"""The word that stands for what `Adopter.find` finds."""


def choose(
    adopter: Adopter,
    wish: Collection[str],
    ask: Callable[[Collection[str]], bool],
    *,
    is_there: bool,
    lanes: str | None,
) -> tuple[Kept, ...]:
    """What a deployment adopts. `wish` are names, or one of the words above; `ask` answers if it is empty.

    A stage that is there adopts nothing more. Raises `ParameterError`.
    """
    names = tuple(wish)
    named = names not in ((), (NEW,), (FOUND,))
    if is_there:
        if named and not adopter.holds(names):
            raise ParameterError(
                f"{adopter.stack} exists already, so it cannot adopt {', '.join(names)}. Only a stage that is created "
                "adopts: destroy it first, or leave out --adopt / ADOPT"
            )
        return ()
    if not named and names != (NEW,):
        found = adopter.find()
        if not found and names:
            raise ParameterError(f"no table and no archive of an earlier {adopter.stack} is left in {adopter.place}")
        names = found if found and (names or ask(found)) else (NEW,)
    return () if names == (NEW,) else adopter.look_at(names, lanes)
