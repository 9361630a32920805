"""Give this file to spark-submit: its arguments are those of `gleaner export`.

    spark-submit "$(python -c 'import gleaner_sft.spark_submit as s; print(s.__file__)')" --config production.toml --input ...
"""

import sys

from gleaner_sft.spark import main

if __name__ == "__main__":
    sys.exit(main())
