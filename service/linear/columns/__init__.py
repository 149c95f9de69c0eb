"""The matrix of a fit in the forms that it may be kept in, one file a form."""

from service.linear.columns.coded import CodedColumns
from service.linear.columns.columns import Block, Columns
from service.linear.columns.dense import DenseColumns
from service.linear.columns.on_demand import ColumnsOnDemand
from service.linear.columns.sparse import SparseColumns

__all__ = ["Block", "CodedColumns", "Columns", "ColumnsOnDemand", "DenseColumns", "SparseColumns"]
