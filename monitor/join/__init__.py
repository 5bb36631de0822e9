"""Feedback that names its decision only by id: how both meet, exactly once, whatever crashes."""
