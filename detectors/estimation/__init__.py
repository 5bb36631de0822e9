"""Shares, rates and volumes from labels that were sampled with known probabilities."""

from detectors.estimation.confusion import ConfusionSums, confusion_from_labels
from detectors.estimation.estimate import Estimate, Reason
from detectors.estimation.estimate_interval import share_interval, total_interval
from detectors.estimation.hajek import hajek, hajek_from_labels
from detectors.estimation.horvitz_thompson import (
    horvitz_thompson_from_labels,
    horvitz_thompson_mean,
    horvitz_thompson_total,
)
from detectors.estimation.post_stratified import post_stratified
from detectors.estimation.rate import Rate, false_positive_rate, rate, rate_interval, recall
from detectors.estimation.ratio import ratio, ratio_from_labels
from detectors.estimation.stratified import StratifiedEstimate, stratified_mean, stratified_total
from detectors.estimation.stratified_ratio import stratified_ratio

__all__ = [
    "ConfusionSums",
    "Estimate",
    "Rate",
    "Reason",
    "StratifiedEstimate",
    "confusion_from_labels",
    "false_positive_rate",
    "hajek",
    "hajek_from_labels",
    "horvitz_thompson_from_labels",
    "horvitz_thompson_mean",
    "horvitz_thompson_total",
    "post_stratified",
    "rate",
    "rate_interval",
    "ratio",
    "ratio_from_labels",
    "recall",
    "share_interval",
    "stratified_mean",
    "stratified_ratio",
    "stratified_total",
    "total_interval",
]
