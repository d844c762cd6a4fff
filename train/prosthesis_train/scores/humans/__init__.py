"""Real raters: a 2AFC experiment as one web page that works from a file, and the reader of its results."""

from prosthesis_train.scores.humans.experiment import make_experiment
from prosthesis_train.scores.humans.results import Humans, read_results

__all__ = ["Humans", "make_experiment", "read_results"]
