# Figure 7: two guests, one of them idle; the idle tax goes from 0 to 75 % in the middle.
set datafile separator ','
set key outside bottom center horizontal
set title 'Two guests of 512 MiB, memory for 1.4 of one: idle tax 0, then 75 % (paper: figure 7)'
set xlabel 'time, s'
set ylabel 'memory, MiB'
set y2label 'work of the busy guest, pages/s'
set yrange [0:560]
set y2range [0:*]
set ytics nomirror
set y2tics
set grid
# What the rule converges to, of T, if one is active on a and the other on b, which has no more
# than its size.
max(a, b) = a > b ? a : b
rule(tax, T, a, b) = tax == 0 ? T / 2 : max((4 * T + 3 * a - 3 * b) / 8, T - 512)
plot csv using 1:6 with lines lw 2 lc rgb '#c02020' title 'busy guest', \
     csv using 1:3 with lines lw 2 lc rgb '#2040c0' title 'idle guest', \
     csv using 1:5 with lines lw 1 lc rgb '#8090e0' title 'active', \
     csv using 1:(rule($2, $3 + $6, $5, $8)) with steps dt 2 lw 2 lc rgb '#000000' \
	title 'by the rule (paper, of 256 MiB: 179 at tax 0)', \
     csv using 1:2 with steps dt 3 lw 2 lc rgb '#888888' title 'idle tax, %', \
     csv using 1:9 axes x1y2 with lines lw 1 lc rgb '#20a040' title 'work'
