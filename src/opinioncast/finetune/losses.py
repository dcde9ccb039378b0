"""All losses. Each takes padded rows and returns one value per row; no reduction is hidden in them.

Shapes: R rows, L options of the longest row. ``log_probs``: log of the model's shares over the
row's own labels, below -1e8 in padding. ``target``: observed shares, 0 in padding, summing to one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def forward_kl(log_probs: Tensor, target: Tensor) -> Tensor:
    """KL(people || model) over the row's own labels (paper, section 3.1 and Appendix B).

        sum_a p_H(a) log(p_H(a) / p_theta(a))

    Args:
        log_probs, target: shape (R, L).

    Returns:
        Shape (R,), 0 or more. Options no one chose add nothing.
    """
    return (torch.xlogy(target, target) - target * log_probs).sum(dim=1)


def wasserstein(
    log_probs: Tensor, target: Tensor, on_scale: Tensor, order: Tensor, steps: Tensor
) -> Tensor:
    """Discrete Wasserstein distance on the row's scale (paper, Appendix B).

        sum_i |F_H(i) - F_theta(i)| (x_{i+1} - x_i)

    over options on the scale, both sides renormalised over them, in order of their positions x.
    With ``steps`` that sum to one this is the distance predictions are scored by. Its gradient is
    a sum of signs; it is 0 where the two sides agree. A target with nothing on the scale (a one-hot
    "Refused") has no distance: the caller leaves such rows out, as evaluation does.

    Args:
        log_probs, target: shape (R, L).
        on_scale: shape (R, L), which options have a position.
        order: shape (R, L): option indices by position, those without one last.
        steps: shape (R, L - 1): distance from each position to the next, 0 where there is none.

    Returns:
        Shape (R,); 0 for rows without a scale (all steps 0).
    """

    def cumulative(shares: Tensor) -> Tensor:
        kept = shares * on_scale
        total = kept.sum(dim=1, keepdim=True).clamp_min(torch.finfo(shares.dtype).tiny)
        return (kept / total).gather(1, order).cumsum(dim=1)[:, :-1]

    return ((cumulative(target) - cumulative(log_probs.exp())).abs() * steps).sum(dim=1)


def contrast(log_probs: Tensor, target: Tensor, question: Tensor, weight: Tensor) -> Tensor:
    """Squared error of the differences between groups that answer the same question.

        sum_a ((p_theta(a|g) - mean_h p_theta(a|h)) - (p_H(a|g) - mean_h p_H(a|h)))^2

    The idea of Distribution Shift Alignment (arXiv 2510.21977): learn how answers move from group
    to group, whatever the question's overall level. There a second stage compares pairs of
    backgrounds; here every group is held against the weighted mean of its question, which for
    squared errors is the same up to a factor, and costs nothing because question first the groups
    of a question are computed together.

    Args:
        log_probs, target: shape (R, L).
        question: shape (R,), number of the question each row belongs to, from 0; all of a
            question's rows are here.
        weight: shape (R,), of the rows in their question's mean.

    Returns:
        Shape (R,); 0 for a row alone with its question.
    """
    gap = log_probs.exp() - target
    count = int(question.max()) + 1 if len(question) else 0
    total = weight.new_zeros(count).index_add(0, question, weight)
    summed = gap.new_zeros(count, gap.shape[1]).index_add(0, question, gap * weight[:, None])
    mean = summed / total[:, None]
    return ((gap - mean[question]) ** 2).sum(dim=1)
