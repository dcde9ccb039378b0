# Expected values for tests/evidence/test_greg.py, from R's survey package (R 4.2.2, survey 4.1.1).
#
#   Rscript tests/evidence/r_greg/make_fixtures.R tests/evidence/r_greg
#
# The respondents are random numbers: y is an answer (0 or 1), f what was predicted for the person,
# whose mean over the population is taken to be 0.42.

suppressPackageStartupMessages(library(survey))
folder <- commandArgs(trailingOnly = TRUE)[1]
set.seed(1502)
n <- 160
kind <- sample(4, n, TRUE)
people <- data.frame(
  stratum = rep(1:4, each = 40), psu = rep(rep(1:8, each = 5), 4),
  w = round(runif(n, 0.4, 2.5), 3), f = c(0.2, 0.35, 0.5, 0.75)[kind]
)
people$y <- as.integer(runif(n) < 0.1 + 0.9 * people$f + 0.05 * (people$stratum - 2.5))
write.csv(people, file.path(folder, "respondents.csv"), row.names = FALSE, quote = FALSE)

one <- function(case, design) {
  size <- sum(weights(design))
  calibrated <- calibrate(design, ~f, c("(Intercept)" = size, f = 0.42 * size))
  slope <- unname(coef(lm(y ~ f, people, weights = w))["f"])
  design <- update(design, residual = y - slope * f)
  c(case, sprintf("%.12g", c(
    slope, coef(svymean(~y, calibrated)), SE(svymean(~y, calibrated)),
    SE(svymean(~residual, design)), coef(svymean(~y, design)), SE(svymean(~y, design))
  )))
}
rows <- rbind(
  one("clustered", svydesign(~psu, strata = ~stratum, weights = ~w, nest = TRUE, data = people)),
  one("plain", svydesign(~1, weights = ~w, data = people))
)
colnames(rows) <- c("case", "slope", "calibrated", "calibrated_se", "residual_se", "plain", "plain_se")
write.csv(rows, file.path(folder, "expected.csv"), row.names = FALSE, quote = FALSE)
