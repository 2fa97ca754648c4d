"""Human review 人工抽检: of what the detectors passed, people look at a random sample a day."""
