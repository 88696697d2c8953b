# Guest pages of 2 MiB: memory for all; for what they need when all is shared; for all.
set datafile separator ','
set key outside bottom center horizontal
set title 'Three guests of 160 MiB: memory for all, for what they need when all is shared, for all'
set xlabel 'time, s'
set ylabel 'memory, MiB'
set y2label 'work of the busy guest, pages/s'
set yrange [0:*]
set y2range [0:*]
set ytics nomirror
set y2tics
set grid
of(system, value) = strcol(1) eq system ? value : NaN
plot csv using 3:(of('large', $5)) with lines lw 2 lc rgb '#2040c0' title 'in large pages', \
     csv using 3:(of('large', $9)) with lines lw 1 lc rgb '#20a040' title 'untouched in them', \
     csv using 3:(of('large', $8)) with lines lw 2 lc rgb '#000000' title 'used', \
     csv using 3:(of('small', $8)) with lines dt 2 lw 2 lc rgb '#000000' title 'used, 4 KiB', \
     csv using 3:(of('large', $10)) axes x1y2 with lines lw 1 lc rgb '#c02020' title 'work', \
     csv using 3:(of('small', $10)) axes x1y2 with lines dt 2 lw 1 lc rgb '#c02020' \
	title 'work, 4 KiB'
