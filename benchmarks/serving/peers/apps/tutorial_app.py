"""What a tutorial writes: load the joblib file, declare the body, answer from a path function."""

from __future__ import annotations

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load("model.joblib")


class Rows(BaseModel):
    """The body."""

    instances: list[list[float]]


class Probabilities(BaseModel):
    """The answer."""

    probabilities: list[list[float]]


@app.post("/predict_proba")
def predict_proba(rows: Rows) -> Probabilities:
    """Class probabilities of rows."""
    return Probabilities(probabilities=model.predict_proba(np.array(rows.instances)).tolist())
