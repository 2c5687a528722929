"""Writes the CloudFormation templates of the views and saved queries from the SQL in infra/athena. Pure.

A view is the Glue table that Athena itself makes for CREATE VIEW, so it exists as soon as its stack does. The statement
that creates it again is among the saved queries. There are two templates because no emulator knows
AWS::Athena::NamedQuery.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analytics.catalog import Catalog, Statement
from analytics.columns import Column

DATABASE, WORKGROUP = "Database", "Workgroup"
"""Outputs of the stack analytics, which are parameters of these templates."""

_HEAD = """\
AWSTemplateFormatVersion: "2010-09-09"
Description: {description}

# Generated from infra/athena by `python -m analytics templates`. Change the SQL there, and run the command again.

Parameters:
  # Outputs of the stack analytics with the same names.
{parameters}

Resources:
"""


def render(catalog: Catalog, columns: Mapping[str, Sequence[Column]]) -> Mapping[str, str]:
    """The text of each template by its file name. `columns` are the columns of each view."""
    recreated = [
        Statement(
            name=f"view_{view.name}",
            description=f"Creates the view {view.name} again. {view.description}",
            select=f"CREATE OR REPLACE VIEW {view.name} AS\n{view.select}",
        )
        for view in catalog.views
    ]
    views = (_view(view, columns[view.name]) for view in catalog.views)
    saved = (_saved(query) for query in (*catalog.queries, *recreated))
    return {
        "views.yaml": _template("stockstream: the views over the archive", [DATABASE], views),
        "queries.yaml": _template("stockstream: the saved queries of Athena", [DATABASE, WORKGROUP], saved),
    }


def _template(description: str, parameters: Iterable[str], resources: Iterable[str]) -> str:
    declared = "\n".join(f"  {name}: {{Type: String}}" for name in parameters)
    return _HEAD.format(description=json.dumps(description), parameters=declared) + "\n".join(resources)


def _saved(query: Statement) -> str:
    return f"""\
  {_logical(query.name)}:
    Type: AWS::Athena::NamedQuery
    Properties:
      Name: {query.name}
      Description: {json.dumps(query.description)}
      Database: !Ref {DATABASE}
      WorkGroup: !Ref {WORKGROUP}
      QueryString: |
{_indented(query.select, 8)}
"""


def _view(view: Statement, columns: Sequence[Column]) -> str:
    """A view as Glue stores it for Athena: a comment that contains a JSON document in base64."""
    listed = "\n".join(f"            - {{Name: {each.name}, Type: {json.dumps(each.type)}}}" for each in columns)
    return f"""\
  {_logical(view.name)}:
    Type: AWS::Glue::Table
    Properties:
      CatalogId: !Ref AWS::AccountId
      DatabaseName: !Ref {DATABASE}
      TableInput:
        Name: {view.name}
        Description: {json.dumps(view.description)}
        TableType: VIRTUAL_VIEW
        Parameters: {{presto_view: "true", comment: Presto View}}
        PartitionKeys: []
        StorageDescriptor:
          SerdeInfo: {{}} # Athena refuses a view without it
          Columns:
{listed}
        ViewExpandedText: /* Presto View */
        ViewOriginalText: !Sub
          - "/* Presto View: ${{Document}} */"
          - Document:
              Fn::Base64: !Sub |
{_indented(_document(view, columns), 16)}
"""


def glue_table(view: Statement, columns: Sequence[Column], database: str) -> dict[str, Any]:
    """A view as the `TableInput` of Glue's API, with the content that the template gives it."""
    document = _document(view, columns, database)
    return {
        "Name": view.name,
        "Description": view.description,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "PartitionKeys": [],
        "StorageDescriptor": {
            "SerdeInfo": {},
            "Columns": [{"Name": column.name, "Type": column.type} for column in columns],
        },
        "ViewExpandedText": "/* Presto View */",
        "ViewOriginalText": f"/* Presto View: {b64encode(document.encode()).decode()} */",
    }


def _document(view: Statement, columns: Sequence[Column], database: str = f"${{{DATABASE}}}") -> str:
    listed = ",\n".join("    " + json.dumps({"name": column.name, "type": _trino(column.type)}) for column in columns)
    return f"""\
{{
  "originalSql": {json.dumps(view.select)},
  "catalog": "awsdatacatalog",
  "schema": {json.dumps(database)},
  "columns": [
{listed}
  ]
}}"""


def _trino(glue_type: str) -> str:
    return {"string": "varchar", "int": "integer", "timestamp": "timestamp(6)"}.get(glue_type, glue_type)


def _logical(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _indented(text: str, spaces: int) -> str:
    return "\n".join(" " * spaces + line if line else "" for line in text.splitlines())
