# Multilevel regression by lme4, poststratified: one random effect per attribute, as MRP is taught.
# Rscript evidence_lme4.R FOLDER: reads people.csv (question, y, attributes) and frame_NAME.csv (weight,
# attributes), writes shares.csv (question, row of the frame, share of option 1).
suppressMessages(library(lme4))
folder <- commandArgs(trailingOnly = TRUE)[1]
people <- read.csv(file.path(folder, "people.csv"), colClasses = "character")
out <- list()
for (q in unique(people$question)) {
  mine <- people[people$question == q, ]
  frame <- read.csv(file.path(folder, paste0("frame_", mine$wave[1], ".csv")), colClasses = "character")
  mine$y <- as.numeric(mine$y)
  attributes <- setdiff(names(frame), "weight")
  attributes <- attributes[sapply(attributes, function(a) length(unique(mine[[a]])) > 1)]
  share <- rep(mean(mine$y), nrow(frame))
  if (length(unique(mine$y)) > 1) {
    effects <- paste0("(1|", attributes, ")", collapse = " + ")
    fit <- suppressMessages(suppressWarnings(glmer(
      as.formula(paste("y ~ 1 +", effects)), data = mine, family = binomial,
      control = glmerControl(optimizer = "bobyqa", calc.derivs = FALSE)
    )))
    share <- predict(fit, newdata = frame, type = "response", allow.new.levels = TRUE)
  }
  out[[q]] <- data.frame(question = q, row = seq_along(share), share = share)
}
write.csv(do.call(rbind, out), file.path(folder, "shares.csv"), row.names = FALSE)
