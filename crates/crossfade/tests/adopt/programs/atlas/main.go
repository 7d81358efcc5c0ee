// Writes atlas.sum into a folder, and prints the history that Atlas would have of all its files but the last. Its command can't be had as a module, so the
// table is its own DDL by hand; the hashes are those of its library.
package main

import (
	"fmt"
	"os"
	"strings"

	"ariga.io/atlas/sql/migrate"
)

func main() {
	dir, err := migrate.NewLocalDir(os.Args[1])
	check(err)
	sums, err := dir.Checksum()
	check(err)
	check(migrate.WriteSumFile(dir, sums))
	files, err := dir.Files()
	check(err)
	for _, file := range files[:len(files)-1] {
		hash, err := sums.SumByName(file.Name())
		check(err)
		statements, err := file.Stmts()
		check(err)
		fmt.Printf("%s;\n", strings.Join(statements, ";\n"))
		fmt.Printf("INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('%s', '%s', 2, %d, %d, now(), 1, NULL, NULL, '%s', NULL, 'Atlas CLI');\n",
			file.Version(), file.Desc(), len(statements), len(statements), hash)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
