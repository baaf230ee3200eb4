"""One line a check, with the largest difference."""
import math

TOLERANCE = 1e-4  # of the largest number


class Report:
    def __init__(self):
        self.good, self.bad, self.left_out = 0, [], []

    def equal(self, name, ours, theirs):
        """Compares two lists of numbers."""
        assert len(ours) == len(theirs) > 0, f"{len(ours)} numbers, expected {len(theirs)}"
        largest = max(map(abs, theirs))
        difference = max(abs(a - b) for a, b in zip(ours, theirs))
        fine = difference <= TOLERANCE * largest and math.isfinite(largest)  # false for NaN
        self.line("equal" if fine else "DIFFERENT", name,
                  f"{len(ours)} numbers, largest difference {difference:.2g} of {largest:.3g}")
        if fine:
            self.good += 1
        else:
            self.bad.append(name)

    def true(self, name, fine, found):
        self.line("equal" if fine else "DIFFERENT", name, found)
        if fine:
            self.good += 1
        else:
            self.bad.append(name)

    def run(self, name, check, *arguments):
        """A check that may fail in any way; what this program does not support yet is said and left out."""
        try:
            check(self, name, *arguments)
        except Exception as error:  # pylint: disable=broad-except
            words = str(error).strip().splitlines() or [type(error).__name__]
            if "is not a known family" in words[-1]:
                self.line("left out", name, words[-1])
                self.left_out.append(name)
            else:
                self.line("FAILED", name, f"{type(error).__name__}: {words[0]}")
                self.bad.append(name)

    @staticmethod
    def line(verdict, name, text):
        print(f"{verdict:9}  {name:58}  {text}", flush=True)

    def finish(self):
        print(f"{self.good} equal, {len(self.bad)} different or failed, {len(self.left_out)} left out")
        for name in self.bad:
            print(f"  {name}")
        return 1 if self.bad or self.good == 0 else 0
