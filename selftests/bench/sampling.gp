# Figure 6: what is touched, and what samples say of it.  csv and out are set by scripts/figures.
set datafile separator ','
set key top right
set title 'A program touches more, then less, of a guest of 256 MiB (paper: figure 6)'
set xlabel 'time, s'
set ylabel 'memory, MiB'
set yrange [0:256]
set grid
plot csv using 1:2 with steps lw 2 lc rgb '#888888' title 'touched by the program', \
     csv using 1:3 with lines lw 2 lc rgb '#c02020' title 'estimate (the largest)', \
     csv using 1:4 with lines lw 1 lc rgb '#2040c0' title 'slow average', \
     csv using 1:5 with lines lw 1 lc rgb '#20a040' title 'fast average'
