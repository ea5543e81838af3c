"""`python -m srnb.cli`"""

from srnb.cli import main

main()
