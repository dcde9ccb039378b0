"""Instruments: files of many formats -> questionnaires. One file and one declaration a format."""

from opinioncast.questionnaires.questionnaire import Questionnaire, read_questionnaire

__all__ = ["Questionnaire", "read_questionnaire"]
