# SPDX-License-Identifier: GPL-2.0
#
# From Documentation/tunables.md to the markdown that go-md2man makes a man page of:
# with a title and a name, and a list for each table, as five columns do not fit
# a terminal.

FNR == 1 {
	print "% KVM_MRM 4 \"" date "\" \"kvm-mrm " version "\" \"Kernel Interfaces Manual\"\n"
	print "# NAME\n\nkvm_mrm - memory resource management for KVM: tunables and counters\n"
	print "# DESCRIPTION"
	next
}

/^## / {
	print toupper(substr($0, 2))
	next
}

/^\|/ {
	n = split(substr($0, 2), cell, / *\| */)
	sub(/^ */, "", cell[1])
	if (!columns) {
		for (columns = 1; columns < n; columns++)
			heading[columns] = cell[columns]
		next
	}
	if (cell[1] ~ /^-+$/)
		next
	# The first column names, the last explains; those between are in brackets.
	facts = ""
	for (i = 2; i < n - 1; i++)
		if (cell[i] != "-")
			facts = facts (facts ? "; " : "") \
				(heading[i] == "unit" ? "" : heading[i] ": ") cell[i]
	print cell[1] "\n: " cell[n - 1] (facts ? " (" facts ")" : "") "\n"
	next
}

{
	columns = 0
	print
}

END {
	print "\n# SEE ALSO\n\nmrmctl(8)"
}
