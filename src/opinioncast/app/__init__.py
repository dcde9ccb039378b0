"""The web page for one's own machine: an instrument in, predictions to look at, a workbook out.

``projects`` keeps a user's files, ``uploads`` lets files in, ``runs`` starts what goes on when the
browser is closed, ``worker`` is what it starts; ``page`` and its parts draw. No logic of prediction
is here and no check of its own: the same jobs run as on the command line.
"""
