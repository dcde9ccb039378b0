# Expected values for tests/curate/test_designs.py: replicate weights and finite population corrections,
# from R's survey package (R 4.2.2, survey 4.1.1).
#
#   python tests/curate/test_designs.py export FOLDER
#   Rscript tests/curate/r_survey/make_designs.R FOLDER tests/curate/r_survey
#
# A case file has columns w, q_* (option 1, 2, ..., empty where there is no substantive answer) and
# g_* (1 = member), and either stratum, psu, fpc (each may be absent) or r_* (replicate weights, or
# factors). Only estimates leave this script. A cell of which R discards replicates is left out.

suppressPackageStartupMessages(library(survey))
arguments <- commandArgs(trailingOnly = TRUE)

half <- 0.5
methods <- list(
  brr = list(type = "BRR"), brr_factors = list(type = "BRR", combined.weights = FALSE),
  fay = list(type = "Fay", rho = 0.3), jk1 = list(type = "JK1"), jk2 = list(type = "JK2"),
  jkn = list(type = "JKn"), bootstrap = list(type = "bootstrap"),
  sdr = list(type = "successive-difference"), other = list(type = "other", scale = 0.2, rscales = half)
)

cells <- function(design, data, case, centre) {
  rows <- list()
  for (q in grep("^q_", names(data), value = TRUE)) {
    levels <- seq_len(max(data[[q]], na.rm = TRUE))
    for (g in grep("^g_", names(data), value = TRUE)) {
      inside <- data[[g]] == 1 & !is.na(data[[q]])
      if (sum(data$w[inside]) == 0) next
      domain <- subset(design, inside)
      domain$variables$y <- factor(domain$variables[[q]], levels = levels)
      discarded <- FALSE
      means <- withCallingHandlers(svymean(~y, domain), warning = function(w) {
        if (grepl("discarded", conditionMessage(w))) discarded <<- TRUE
        invokeRestart("muffleWarning")
      })
      if (discarded) next
      rows[[length(rows) + 1]] <- data.frame(
        case = case, centre = centre, question = sub("^q_", "", q), group = sub("^g_", "", g),
        option = levels, share = as.numeric(coef(means)), se = as.numeric(SE(means))
      )
    }
  }
  do.call(rbind, rows)
}

tables <- list()
for (file in sort(list.files(arguments[1], pattern = "^design_.*\\.csv$", full.names = TRUE))) {
  case <- sub("^design_", "", sub("\\.csv$", "", basename(file)))
  data <- read.csv(file)
  if (startsWith(case, "fpc")) {
    design <- svydesign(
      ids = if ("psu" %in% names(data)) ~psu else ~1,
      strata = if ("stratum" %in% names(data)) ~stratum else NULL,
      weights = ~w, fpc = ~fpc, nest = TRUE, data = data
    )
    tables[[length(tables) + 1]] <- cells(design, data, case, "none")
    next
  }
  repweights <- as.matrix(data[, grep("^r_", names(data))])
  options <- methods[[case]]
  if (case == "jkn") options$rscales <- unlist(read.csv(sub("\\.csv$", "_rscales.txt", file)))
  if (case == "other") options$rscales <- rep(half, ncol(repweights))
  for (mse in c(TRUE, FALSE)) {
    design <- suppressWarnings(do.call(svrepdesign, c(
      list(variables = data, repweights = repweights, weights = data$w, mse = mse), options
    )))
    tables[[length(tables) + 1]] <- cells(design, data, case, if (mse) "estimate" else "replicates")
  }
  if (case == "jkn") {  # the replicates R makes itself of the strata and PSUs
    design <- svydesign(ids = ~psu, strata = ~stratum, weights = ~w, nest = TRUE, data = data)
    own <- as.svrepdesign(design, type = "JKn")
    tables[[length(tables) + 1]] <- cells(own, data, "jkn_of_r", "replicates")
  }
}
table <- do.call(rbind, tables)
table$share <- sprintf("%.10g", table$share)
table$se <- sprintf("%.10g", table$se)
write.csv(table, file.path(arguments[2], "designs.csv"), row.names = FALSE, quote = FALSE)
