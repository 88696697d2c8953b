# Figure 8: five guests on 1/1.62 of their memory, started together.
set datafile separator ','
set key outside bottom center horizontal
set title 'Five guests of 144 MiB, started together on memory for 1/1.62 of them (paper: figure 8)'
set xlabel 'time, s'
set ylabel 'memory, MiB'
set y2label 'state: high 0, clear 1, soft 2, hard 3, low 4'
set yrange [0:*]
set y2range [0:16]
set ytics nomirror
set y2tics 1,1,4
set grid
plot csv using 1:5 with lines lw 2 lc rgb '#20a040' title 'shared', \
     csv using 1:6 with lines lw 1 lc rgb '#80d0a0' title 'of these zero', \
     csv using 1:4 with lines lw 2 lc rgb '#2040c0' title 'balloons', \
     csv using 1:7 with lines lw 2 lc rgb '#c08020' title 'zipped', \
     csv using 1:8 with lines lw 2 lc rgb '#c02020' title 'swapped', \
     csv using 1:9 with lines dt 2 lw 1 lc rgb '#c02020' title 'written to swap so far', \
     csv using 1:3 with lines lw 2 lc rgb '#000000' title 'free', \
     csv using 1:2 axes x1y2 with steps lw 1 lc rgb '#888888' title 'state'
