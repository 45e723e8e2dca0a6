# Values of R's pROC for tests/evaluation/test_proc.py. Debian: apt-get install r-cran-proc; then, from the checkout,
#   Rscript tests/evaluation/make_proc_fixture.R > tests/evaluation/fixtures/proc.json
# The cases are simulated here and stored beside the values, so the test needs no R.

suppressMessages(library(pROC))

number <- function(x) paste(sprintf("%.17g", x), collapse = ", ")
list_of <- function(x) paste0("[", number(x), "]")

values <- function(truth, score) {
  curve <- roc(truth, score, levels = c(0, 1), direction = "<", quiet = TRUE)
  interval <- as.numeric(ci.auc(curve, method = "delong"))
  part <- function(correct) {
    as.numeric(auc(curve, partial.auc = c(1, 0.9), partial.auc.focus = "specificity", partial.auc.correct = correct))
  }
  best <- coords(curve, "best", best.method = "youden", ret = c("sensitivity", "specificity"), transpose = FALSE)
  sprintf(
    '{"auc": %s, "variance": %s, "low": %s, "high": %s, "partial": %s, "partial_standardised": %s, "youden": %s}',
    number(as.numeric(auc(curve))), number(var(curve, method = "delong")), number(interval[1]), number(interval[3]),
    number(part(FALSE)), number(part(TRUE)), number(best$sensitivity[1] + best$specificity[1] - 1)
  )
}

one_set <- function(name, seed, n, prevalence, digits) {
  set.seed(seed)
  truth <- as.integer(seq_len(n) <= round(prevalence * n))[sample(n)]
  shared <- rnorm(n)
  first <- round(plogis(0.8 * shared + rnorm(n) + 1.6 * truth), digits)
  second <- round(plogis(0.8 * shared + rnorm(n) + 0.9 * truth), digits)
  one <- roc(truth, first, levels = c(0, 1), direction = "<", quiet = TRUE)
  other <- roc(truth, second, levels = c(0, 1), direction = "<", quiet = TRUE)
  paired <- roc.test(one, other, paired = TRUE, method = "delong")
  sprintf(
    paste0(
      '  {"name": "%s",\n   "truth": %s,\n   "first": %s,\n   "second": %s,\n   "of_first": %s,\n   "of_second": %s,\n',
      '   "covariance": %s, "z": %s, "p": %s, "difference_low": %s, "difference_high": %s}'
    ),
    name, list_of(truth), list_of(first), list_of(second), values(truth, first), values(truth, second),
    number(cov(one, other, method = "delong")), number(as.numeric(paired$statistic)), number(paired$p.value),
    number(paired$conf.int[1]), number(paired$conf.int[2])
  )
}

sets <- c(
  one_set("without ties", 1, 80, 0.4, 12),
  one_set("many ties", 2, 80, 0.4, 1),
  one_set("rare disease", 3, 150, 0.08, 6),
  one_set("few cases", 4, 16, 0.5, 3)
)
cat(sprintf(
  '{"made_by": "R %s.%s, pROC %s",\n "sets": [\n%s\n ]}\n',
  R.version$major, R.version$minor, packageVersion("pROC"), paste(sets, collapse = ",\n")
))
