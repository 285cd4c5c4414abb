from vgexp.cli import main

main()
