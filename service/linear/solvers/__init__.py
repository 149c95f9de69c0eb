"""The solvers, one file a method; a new one is a file and a line in ``SOLVERS``."""

from service.linear.solvers.gradient_descent import GradientDescent
from service.linear.solvers.newton import Newton
from service.linear.solvers.newton_cg import NewtonCG
from service.linear.solvers.prox_newton import ProxNewton
from service.linear.solvers.row_space import RowSpace

SOLVERS = (Newton, NewtonCG, RowSpace, ProxNewton, GradientDescent)
SOLVER_NAMES = ("auto", *(solver.name for solver in SOLVERS))

__all__ = ["SOLVERS", "SOLVER_NAMES", "GradientDescent", "Newton", "NewtonCG", "ProxNewton", "RowSpace"]
