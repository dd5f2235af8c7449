r"""What a document needs before `\begin{document}`, once, for all tables."""

PREAMBLE = r"""% ablation-preamble.tex: what the tables of `ablate report STUDY --latex DIR` need.
% \input it before \begin{document}, after the paper's own packages and their options; twice does no harm.
% Needs TeX Live's latex-extra and science collections (booktabs, siunitx, multirow, makecell, longtable, colortbl).
\usepackage{booktabs,multirow,makecell,array,longtable,amssymb,textcomp}
\usepackage{xcolor,colortbl}
\usepackage{pifont}
\usepackage{siunitx}
% Each table calls this, so that numbers elsewhere in the paper are set as the paper wants them.
\DeclareRobustCommand{\ablationsetup}{\sisetup{
  detect-all,                       % bold figures inside S columns
  table-align-text-after = false,
  table-number-alignment = center,
  separate-uncertainty = true,      % 77.34(12) is printed 77.34 ± 0.12
  retain-explicit-plus = true,
  group-digits = false,
}}
\definecolor{ablationbetter}{rgb}{0.00,0.38,0.30}
\definecolor{ablationworse}{rgb}{0.70,0.16,0.05}
\definecolor{ablationunsure}{gray}{0.42}
\definecolor{ablationshade}{gray}{0.93}
\DeclareRobustCommand{\ablationcmark}{\ding{51}}
\DeclareRobustCommand{\ablationxmark}{\textcolor{black!45}{\ding{55}}}
% Series b, not bx: its figures are as wide as those of the text, so that columns stay aligned.
\DeclareRobustCommand{\ablationbest}{\fontseries{b}\selectfont}
\DeclareRobustCommand{\ablationsecond}[1]{\underline{#1}}
\DeclareRobustCommand{\ablationup}[1]{\textcolor{ablationbetter}{#1}}
\DeclareRobustCommand{\ablationdown}[1]{\textcolor{ablationworse}{#1}}
\DeclareRobustCommand{\ablationns}[1]{\textcolor{ablationunsure}{#1}}
\DeclareRobustCommand{\ablationci}[1]{{\scriptsize #1}}
\DeclareRobustCommand{\ablationnotes}[1]{\par\medskip{\raggedright\footnotesize #1\par}}
% Characters that a font may not have, and their codes, which are printed where it has not: under pdfLaTeX all but
% Chinese where CJKutf8 is installed; under XeLaTeX and LuaLaTeX what the font of the text lacks, without xeCJK, ctex or
% luatexja. Define \ablationother after this to use another font.
\def\ablationeach#1{\ifx#1\relax\else\iffontchar\font`#1 \else\def\ablationlost{}\fi\expandafter\ablationeach\fi}
\ifdefined\Umathchar
  \DeclareRobustCommand{\ablationother}[2]{\begingroup\let\ablationlost\undefined
    \ifcsname ver@xeCJK.sty\endcsname\else\ifcsname ver@luatexja.sty\endcsname\else\ablationeach#1\relax\fi\fi
    \ifdefined\ablationlost[#2]\else#1\fi\endgroup}
\else
  \DeclareRobustCommand{\ablationother}[2]{[#2]}
  \IfFileExists{CJKutf8.sty}{\IfFileExists{c70gbsn.fd}{\usepackage{CJKutf8}\def\ablationhascjk{}}{}}{}
\fi
\DeclareRobustCommand{\ablationcjk}[2]{%
  \ifdefined\ablationhascjk\begin{CJK*}{UTF8}{gbsn}#1\end{CJK*}\else\ablationother{#1}{#2}\fi}
"""
