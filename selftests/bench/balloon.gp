# Figure 2: a guest whose balloon leaves it so much, and one that was started with it.
set datafile separator ','
set key top left
set title 'A guest of 256 MiB, ballooned, and smaller guests (paper: figure 2)'
set xlabel 'memory the guest has, MiB'
set ylabel 'work, pages/s'
set xrange [112:240]
set yrange [0:*]
set xtics 32
set grid
paper(mib) = mib == 128 ? "4.4" : mib == 224 ? "1.4" : "between"
cost(mib, ballooned, smaller) = \
	sprintf("%.1f %% less\n(paper: %s)", 100 * (1 - ballooned / smaller), paper(mib))
plot csv using 1:5:6:7 with yerrorlines lw 2 pt 7 lc rgb '#2040c0' title 'started with so much', \
     csv using 1:2:3:4 with yerrorlines lw 2 pt 5 lc rgb '#c02020' title 'ballooned to so much', \
     csv using 1:2:(cost($1, $2, $5)) with labels offset 0, -2 notitle
