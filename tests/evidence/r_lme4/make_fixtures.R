# A multilevel regression with poststratification as R's lme4 reads it (Debian: r-cran-lme4).
#   Rscript make_fixtures.R     (in this folder; writes kinds.csv, variances.csv, expected.csv)
library(lme4)
set.seed(20)
kinds <- expand.grid(
  AGE = c("18-29", "30-49", "50-64", "65+"),
  RACE = c("White", "Black", "Asian", "Hispanic"),
  POLPARTY = c("Republican", "Democrat", "Independent"),
  stringsAsFactors = FALSE
)
kinds$weight <- round(rgamma(nrow(kinds), 1.2) + 0.02, 3)
asked <- rmultinom(1, 400, kinds$weight * runif(nrow(kinds), 0.3, 1.7))[, 1]
eta <- 0.3 + c(-0.4, -0.1, 0.1, 0.5)[match(kinds$AGE, unique(kinds$AGE))] +
  c(0.2, -0.6, 0, 0.3)[match(kinds$RACE, unique(kinds$RACE))] +
  c(1.1, -1.0, 0)[match(kinds$POLPARTY, unique(kinds$POLPARTY))]
kinds$favor <- rbinom(nrow(kinds), asked, plogis(eta))
kinds$oppose <- asked - kinds$favor
# nAGQ = 0: the level and the effects at their joint mode under the variances, as here
fit <- glmer(
  cbind(favor, oppose) ~ 1 + (1 | AGE) + (1 | RACE) + (1 | POLPARTY),
  family = binomial, data = kinds[asked > 0, ], nAGQ = 0
)
kinds$p <- predict(fit, newdata = kinds, type = "response", allow.new.levels = TRUE)
told <- rbind(
  data.frame(attribute = "TOTAL", group = "TOTAL", favor = weighted.mean(kinds$p, kinds$weight)),
  do.call(rbind, lapply(c("AGE", "RACE", "POLPARTY"), function(a) {
    do.call(rbind, lapply(unique(kinds[[a]]), function(g) {
      inside <- kinds[[a]] == g
      data.frame(
        attribute = a, group = g,
        favor = weighted.mean(kinds$p[inside], kinds$weight[inside])
      )
    }))
  }))
)
variances <- as.data.frame(VarCorr(fit))[, c("grp", "vcov")]
names(variances) <- c("attribute", "variance")
write.csv(kinds[, names(kinds) != "p"], "kinds.csv", row.names = FALSE)
write.csv(variances, "variances.csv", row.names = FALSE)
write.csv(told, "expected.csv", row.names = FALSE)
