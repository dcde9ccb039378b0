# Expected values for tests/curate/test_r_survey.py, from R's survey package (R 4.2.2, survey 4.1.1).
#
#   python tests/curate/test_r_survey.py export FOLDER     # one CSV per case; real ones need the data
#   Rscript tests/curate/r_survey/make_fixtures.R FOLDER tests/curate/r_survey
#
# A case file has columns stratum, psu, w (each may be absent), q_* (option 1, 2, ..., empty where
# there is no substantive answer) and g_* (1 = member). Only estimates leave this script.

suppressPackageStartupMessages(library(survey))
arguments <- commandArgs(trailingOnly = TRUE)

estimate <- function(file, lonely) {
  data <- read.csv(file)
  data$w <- if ("w" %in% names(data)) data$w else 1
  data <- data[!is.na(data$w), ]
  options(survey.lonely.psu = lonely)
  design <- svydesign(
    ids = if ("psu" %in% names(data)) ~psu else ~1,
    strata = if ("stratum" %in% names(data)) ~stratum else NULL,
    weights = ~w, nest = TRUE, data = data
  )
  rows <- list()
  for (q in grep("^q_", names(data), value = TRUE)) {
    levels <- seq_len(max(data[[q]], na.rm = TRUE))
    for (g in grep("^g_", names(data), value = TRUE)) {
      inside <- data[[g]] == 1 & !is.na(data[[q]])
      if (sum(data$w[inside]) == 0) next
      domain <- subset(design, inside)
      domain$variables$y <- factor(domain$variables[[q]], levels = levels)
      means <- svymean(~y, domain)
      rows[[length(rows) + 1]] <- data.frame(
        case = sub("\\.csv$", "", basename(file)), lonely = lonely,
        question = sub("^q_", "", q), group = sub("^g_", "", g), option = levels,
        n = sum(inside), share = as.numeric(coef(means)), se = as.numeric(SE(means))
      )
    }
  }
  do.call(rbind, rows)
}

for (kind in c("synthetic", "real")) {
  files <- sort(list.files(arguments[1], pattern = paste0("^", kind, "_.*\\.csv$"), full.names = TRUE))
  tables <- lapply(files, function(file) {
    policies <- if (grepl("lonely", file)) c("certainty", "adjust", "average") else "fail"
    do.call(rbind, lapply(policies, function(p) estimate(file, p)))
  })
  table <- do.call(rbind, tables)
  if (is.null(table)) next
  table$share <- sprintf("%.10g", table$share)
  table$se <- sprintf("%.10g", table$se)
  write.csv(table, file.path(arguments[2], paste0(kind, ".csv")), row.names = FALSE, quote = FALSE)
}
